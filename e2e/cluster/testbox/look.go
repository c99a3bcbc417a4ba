package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"syscall"
)

// The commands in this file replace the shell that the image does not have.

func runEnv(context.Context, []string) int {
	all := os.Environ()
	sort.Strings(all)
	for _, pair := range all {
		fmt.Println(pair)
	}
	return 0
}

func runCat(_ context.Context, args []string) int {
	for _, path := range args {
		file, err := os.Open(path)
		if err != nil {
			return fail(err)
		}
		_, err = io.Copy(os.Stdout, file)
		file.Close()
		if err != nil {
			return fail(err)
		}
	}
	return 0
}

func runList(_ context.Context, args []string) int {
	long := len(args) > 0 && args[0] == "-l"
	if long {
		args = args[1:]
	}
	for _, folder := range args {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return fail(err)
		}
		for _, entry := range entries {
			path := filepath.Join(folder, entry.Name())
			if found, err := os.Stat(path); long && err == nil {
				owner := found.Sys().(*syscall.Stat_t)
				fmt.Printf("%04o %d %d ", found.Mode().Perm(), owner.Uid, owner.Gid)
			}
			fmt.Println(path)
		}
	}
	return 0
}

func runWrite(_ context.Context, args []string) int {
	if len(args) != 2 {
		return fail(errors.New("write takes a path and a text"))
	}
	if err := os.WriteFile(args[0], []byte(args[1]), 0o600); err != nil {
		return fail(err)
	}
	return 0
}
