// Command testbox is everything that runs inside the test images: servers to talk to, a demo agent,
// and probes that say what can be reached from where they run. It is static and needs nothing else
// in the image, so an image is this one file and no shell can hide what happened.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type subcommand struct {
	usage string
	run   func(ctx context.Context, args []string) int
}

var subcommands = map[string]subcommand{
	"agent":    {"a demo agent: calls a URL again and again, answers /healthz", runAgent},
	"probe":    {"try targets (tcp, udp, http, https, dns), one JSON line each", runProbe},
	"keycheck": {"an HTTP server that lets in who shows the value of a Secret", runKeycheck},
	"request":  {"one HTTP request, as any Go program sends it", runRequest},
	"llm":      {"an HTTPS server that speaks like an LLM messages API", runLLM},
	"talk":     {"an agent of any kind: has a whole exchange with each target, again and again", runTalk},
	"pretend":  {"servers that speak like what agents talk to: MCP, Redis, PostgreSQL, a browser, ...", runPretend},
	"proxy":    {"a corporate proxy: takes CONNECT, and prints what was asked", runProxy},
	"review":   {"an admission webhook that allows everything", runReview},
	"metadata": {"a pretend cloud metadata service", runMetadata},
	"echo":     {"a TCP, UDP and HTTP server that answers what it was sent", runEcho},
	"dns":      {"a pretend public resolver: answers every question with 'no such name'", runDNS},
	"env":      {"print the environment, one NAME=value a line", runEnv},
	"cat":      {"print files", runCat},
	"ls":       {"list folders, one path a line (-l: with mode, user and group)", runList},
	"write":    {"write a file: write PATH TEXT", runWrite},
}

var order = []string{"agent", "talk", "pretend", "probe", "request", "llm", "keycheck", "proxy", "review", "metadata", "echo", "dns", "env", "cat", "ls", "write"}

func main() {
	if len(os.Args) < 2 || subcommands[os.Args[1]].run == nil {
		fmt.Fprintln(os.Stderr, "usage: testbox COMMAND [-h] ...")
		for _, name := range order {
			fmt.Fprintf(os.Stderr, "  %-9s %s\n", name, subcommands[name].usage)
		}
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(subcommands[os.Args[1]].run(ctx, os.Args[2:]))
}

// fail prints an error the way a command line does and gives the exit code for it.
func fail(err error) int {
	fmt.Fprintln(os.Stderr, "testbox:", err)
	return 1
}
