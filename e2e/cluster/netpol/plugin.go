package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// A networkConfig is what the CNI runtime hands a plugin on standard input.
type networkConfig struct {
	CNIVersion string          `json:"cniVersion"`
	Name       string          `json:"name"`
	Socket     string          `json:"socket"`
	PrevResult json.RawMessage `json:"prevResult"`
}

// runPlugin speaks the CNI protocol: https://www.cni.dev/docs/spec/
func runPlugin(in io.Reader, out io.Writer) int {
	var config networkConfig
	err := json.NewDecoder(in).Decode(&config)
	if err == nil {
		switch os.Getenv("CNI_COMMAND") {
		case "ADD":
			if err = announceFrom(config, false); err == nil {
				fmt.Fprintln(out, string(config.PrevResult))
			}
		case "DEL":
			// A pod must be removable whatever happened to the enforcement.
			_ = announceFrom(config, true)
		case "VERSION":
			fmt.Fprintln(out, `{"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0"]}`)
		}
	}
	if err != nil {
		text, _ := json.Marshal(map[string]any{"cniVersion": config.CNIVersion, "code": 100, "msg": err.Error()})
		fmt.Fprintln(out, string(text))
		return 1
	}
	return 0
}

func announceFrom(config networkConfig, gone bool) error {
	if _, err := os.Stat(config.Socket); errors.Is(err, os.ErrNotExist) {
		return nil // enforcement is switched off
	}
	args := arguments(os.Getenv("CNI_ARGS"))
	said := announcement{
		Gone:      gone,
		Namespace: args["K8S_POD_NAMESPACE"],
		Name:      args["K8S_POD_NAME"],
		Sandbox:   os.Getenv("CNI_CONTAINERID"),
	}
	if !gone {
		var result struct {
			IPs []struct {
				Address string `json:"address"`
			} `json:"ips"`
		}
		if err := json.Unmarshal(config.PrevResult, &result); err != nil {
			return err
		}
		if len(result.IPs) != 1 {
			return errors.New("the plugin before gave no single address")
		}
		said.Address, _, _ = strings.Cut(result.IPs[0].Address, "/")
	}
	return announce(config.Socket, said)
}

func announce(socket string, said announcement) error {
	connection, err := net.DialTimeout("unix", socket, 5*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(25 * time.Second))
	if err := json.NewEncoder(connection).Encode(said); err != nil {
		return err
	}
	reply, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return err
	}
	if reply = strings.TrimSpace(reply); reply != "ok" {
		return errors.New("NetworkPolicy enforcement: " + reply)
	}
	return nil
}

// arguments reads CNI_ARGS: "A=1;B=2".
func arguments(text string) map[string]string {
	found := map[string]string{}
	for _, pair := range strings.Split(text, ";") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			found[name] = value
		}
	}
	return found
}
