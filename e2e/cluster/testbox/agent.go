package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// runAgent is the demo agent: it asks its LLM something every few seconds and says how that went.
// Flags can be given as environment too (AGENT_URL, AGENT_INTERVAL, AGENT_LISTEN, AGENT_KEY or
// ANTHROPIC_API_KEY, AGENT_KEY_FILE, AGENT_STRICT).
func runAgent(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	target := flags.String("url", os.Getenv("AGENT_URL"), "what to call; nothing is called without it")
	interval := flags.Duration("interval", duration("AGENT_INTERVAL", 5*time.Second), "pause between two calls")
	listen := flags.String("listen", fallback("AGENT_LISTEN", ":8080"), "where /healthz and / answer")
	key := flags.String("key", fallback("AGENT_KEY", os.Getenv("ANTHROPIC_API_KEY")), "sent as x-api-key; never printed")
	keyFile := flags.String("key-file", os.Getenv("AGENT_KEY_FILE"), "the same from a file, read anew for each call")
	strict := flags.Bool("strict", os.Getenv("AGENT_STRICT") != "", "/healthz answers 503 until a call got a 200")
	caFile := flags.String("ca", "", "trust this CA (default: whom SSL_CERT_FILE names, or else anything)")
	if flags.Parse(args) != nil {
		return 2
	}
	config, err := clientTrust(*caFile)
	if err != nil {
		return fail(err)
	}
	var last atomic.Value
	last.Store("no call yet")
	go servePanel(*listen, &last, *strict)
	client := &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config}}
	for {
		if *target != "" {
			outcome := "failed: no key"
			if shown, err := current(*key, *keyFile); err == nil {
				outcome = ask(ctx, client, *target, shown)
			}
			last.Store(outcome)
			fmt.Printf("%s %s: %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), *target, outcome)
		}
		select {
		case <-ctx.Done():
			return 0
		case <-time.After(*interval):
		}
	}
}

func current(key, file string) (string, error) {
	if file == "" {
		return key, nil
	}
	text, err := os.ReadFile(file)
	return string(text), err
}

func ask(ctx context.Context, client *http.Client, target, key string) string {
	body, _ := json.Marshal(map[string]any{
		"model": "pretend-1", "max_tokens": 64,
		"messages": []map[string]string{{"role": "user", "content": "Are you there?"}},
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("content-type", "application/json")
	if key != "" {
		request.Header.Set("x-api-key", key)
	}
	response, err := client.Do(request)
	if err != nil {
		_, reason := classify(err)
		return "failed: " + reason
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
	return fmt.Sprintf("%s %s", response.Status, bytes.TrimSpace(text))
}

func servePanel(listen string, last *atomic.Value, strict bool) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if said, _ := last.Load().(string); strict && !strings.HasPrefix(said, "200") {
			http.Error(w, said, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, last.Load()) })
	if err := http.ListenAndServe(listen, mux); err != nil {
		os.Exit(fail(err))
	}
}

func fallback(variable, value string) string {
	if given := os.Getenv(variable); given != "" {
		return given
	}
	return value
}

func duration(variable string, value time.Duration) time.Duration {
	if given, err := time.ParseDuration(os.Getenv(variable)); err == nil {
		return given
	}
	return value
}
