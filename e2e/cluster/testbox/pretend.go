package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// runPretend is what agents talk to inside of a cluster, each by the protocol of the real one.
func runPretend(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("pretend", flag.ContinueOnError)
	key := flags.String("key", "", "env:NAME or file:PATH: what redis and postgres want as a password")
	handlers := map[string]func(string) http.Handler{
		"mcp": func(string) http.Handler { return mcp() }, "a2a": peer, "browser": browser,
		"vectors": func(string) http.Handler { return vectors() },
		"metrics": func(string) http.Handler { return metrics() }, "git": func(string) http.Handler { return repository() },
	}
	stores := map[string]func(string) func(net.Conn) error{
		"redis": func(password string) func(net.Conn) error {
			return (&redis{password: password, lists: map[string][]string{}}).serve
		},
		"postgres": func(password string) func(net.Conn) error {
			return func(connection net.Conn) error { return servePostgres(connection, password) }
		},
	}
	addresses := map[string]*string{}
	for _, name := range []string{"mcp", "a2a", "browser", "vectors", "metrics", "git", "redis", "postgres"} {
		addresses[name] = flags.String(name, "", "address to listen on, such as :8080")
	}
	if flags.Parse(args) != nil {
		return 2
	}
	var servers []func() error
	for name, address := range addresses {
		switch {
		case *address == "":
		case stores[name] != nil:
			password, err := credential(*key)
			if err != nil {
				return fail(err)
			}
			servers = append(servers, func() error { return listen(*address, stores[name](password)) })
		default:
			servers = append(servers, func() error { return http.ListenAndServe(*address, handlers[name](*address)) })
		}
	}
	if len(servers) == 0 {
		return fail(errors.New("pretend: nothing to be; give -mcp, -redis, ..."))
	}
	return serve(ctx, servers...)
}

type call struct {
	ID     any             `json:"id,omitempty"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

func answerJSON(w http.ResponseWriter, value any) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func called(w http.ResponseWriter, r *http.Request) (call, bool) {
	var found call
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&found); err != nil || found.Method == "" {
		http.Error(w, "no JSON-RPC", http.StatusBadRequest)
		return found, false
	}
	return found, true
}

func answerTo(of call, value any) map[string]any {
	return map[string]any{"jsonrpc": "2.0", "id": of.ID, "result": value}
}

const mcpVersion = "2025-06-18"

// mcp is a server of the Model Context Protocol by its Streamable HTTP: one endpoint, one tool.
func mcp() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /mcp", func(w http.ResponseWriter, r *http.Request) {
		asked, ok := called(w, r)
		if !ok {
			return
		}
		const session = "pretend-session"
		if asked.Method != "initialize" && r.Header.Get("Mcp-Session-Id") != session {
			http.Error(w, "no such session", http.StatusBadRequest)
			return
		}
		tool := map[string]any{"name": "lookup", "description": "Looks a word up.",
			"inputSchema": map[string]any{"type": "object", "properties": map[string]any{"word": map[string]string{"type": "string"}}}}
		switch asked.Method {
		case "initialize":
			w.Header().Set("Mcp-Session-Id", session)
			answerJSON(w, answerTo(asked, map[string]any{"protocolVersion": mcpVersion,
				"capabilities": map[string]any{"tools": map[string]any{}},
				"serverInfo":   map[string]string{"name": "pretend", "version": "1"}}))
		case "notifications/initialized":
			w.WriteHeader(http.StatusAccepted)
		case "tools/list":
			answerJSON(w, answerTo(asked, map[string]any{"tools": []any{tool}}))
		case "tools/call":
			answerJSON(w, answerTo(asked, map[string]any{"content": []any{map[string]string{"type": "text", "text": "found"}}}))
		default:
			answerJSON(w, map[string]any{"jsonrpc": "2.0", "id": asked.ID,
				"error": map[string]any{"code": -32601, "message": "Method not found"}})
		}
	})
	return mux
}

// peer is an agent that other agents talk to by A2A: a card that says who it is, and messages.
func peer(string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /.well-known/agent-card.json", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]any{"protocolVersion": "0.3.0", "name": "pretend", "url": "http://" + r.Host + "/",
			"preferredTransport": "JSONRPC", "skills": []any{}})
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		if asked, ok := called(w, r); ok && asked.Method == "message/send" {
			answerJSON(w, answerTo(asked, map[string]any{"kind": "message", "role": "agent", "messageId": "m1",
				"parts": []any{map[string]string{"kind": "text", "text": "done"}}}))
		}
	})
	return mux
}

// browser is the debugging port of a browser (CDP): a WebSocket whose Page.navigate opens a page from here.
func browser(address string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /json/version", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]string{"Browser": "Pretend/1", "Protocol-Version": "1.3",
			"webSocketDebuggerUrl": "ws://" + address + "/devtools/browser/1"})
	})
	mux.HandleFunc("GET /devtools/browser/1", func(w http.ResponseWriter, r *http.Request) {
		line, err := upgrade(w, r)
		if err != nil {
			return
		}
		defer line.Close()
		for {
			var asked struct {
				ID     int
				Method string
				Params struct{ URL string }
			}
			if line.receive(&asked) != nil {
				return
			}
			found := map[string]string{"product": "Pretend/1"}
			if asked.Method == "Page.navigate" {
				found = visit(asked.Params.URL)
			}
			if line.send(map[string]any{"id": asked.ID, "result": found}) != nil {
				return
			}
		}
	})
	return mux
}

func visit(address string) map[string]string {
	config, _ := trust("")
	p := &prober{timeout: 3 * time.Second, tls: config}
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	if _, err := p.tryHTTP(ctx, address); err != nil {
		return map[string]string{"frameId": "f1", "errorText": "net::ERR_CONNECTION_TIMED_OUT"}
	}
	return map[string]string{"frameId": "f1", "loaderId": "l1"}
}

type point struct {
	ID     int       `json:"id"`
	Vector []float64 `json:"vector"`
}

// vectors is a vector store with Qdrant's paths for points.
func vectors() http.Handler {
	var mutex sync.Mutex
	points := map[int]point{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "all shards are ready") })
	mux.HandleFunc("PUT /collections/{name}/points", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Points []point }
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		for _, one := range body.Points {
			points[one.ID] = one
		}
		answerJSON(w, map[string]any{"status": "ok", "result": map[string]string{"status": "completed"}})
	})
	mux.HandleFunc("POST /collections/{name}/points/query", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Query []float64 }
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mutex.Lock()
		defer mutex.Unlock()
		best, score := -1, -1.0
		for id, one := range points {
			sum := 0.0
			for i := range min(len(one.Vector), len(body.Query)) {
				sum += one.Vector[i] * body.Query[i]
			}
			if sum > score {
				best, score = id, sum
			}
		}
		found := []any{map[string]any{"id": best, "score": score}}
		answerJSON(w, map[string]any{"status": "ok", "result": map[string]any{"points": found}})
	})
	return mux
}

// metrics answers queries as Prometheus does: one series, 1.
func metrics() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("query")
		series := map[string]any{"metric": map[string]string{"__name__": name}, "value": []any{time.Now().Unix(), "1"}}
		answerJSON(w, map[string]any{"status": "success",
			"data": map[string]any{"resultType": "vector", "result": []any{series}}})
	})
	return mux
}

const commit = "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a"

func packet(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }

// repository tells the references of any Git repository by the smart HTTP protocol: the first half of a clone.
func repository() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".git/info/refs") || r.FormValue("service") != "git-upload-pack" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("content-type", "application/x-git-upload-pack-advertisement")
		fmt.Fprint(w, packet("# service=git-upload-pack\n"), "0000",
			packet(commit+" HEAD\x00symref=HEAD:refs/heads/main agent=git/pretend\n"), packet(commit+" refs/heads/main\n"), "0000")
	})
	return mux
}
