package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func address(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func store(t *testing.T, serve func(net.Conn) error) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_ = serve(connection)
			}()
		}
	}()
	return listener.Addr().String()
}

func browserAt(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: browser(listener.Addr().String())}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

func TestEveryExchange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WRONG", "wrong")
	page := address(t, http.NotFoundHandler())
	queue := &redis{password: "right", lists: map[string][]string{}}
	cache := store(t, queue.serve)
	database := store(t, func(c net.Conn) error { return servePostgres(c, "right") })
	debugged := browserAt(t)
	cases := map[string]string{ // target -> what is said, or a part of the error
		"mcp+http://" + address(t, mcp()) + "/mcp":                      "lookup: found",
		"mcp+http://" + page + "/mcp":                                   "404",
		"a2a+http://" + address(t, peer("")) + "/":                      "pretend: done",
		"vectors+http://" + address(t, vectors()) + "/collections/docs": "nearest: 2",
		"metrics+http://" + address(t, metrics()):                       "1 series",
		"git+http://" + address(t, repository()) + "/acme/site.git":     commit,
		"redis://" + cache + "#file:" + file:                            "job one",
		"redis://" + cache + "#env:WRONG":                               "WRONGPASS",
		"postgres://" + database + "#file:" + file:                      "row 1",
		"postgres://" + database + "#env:WRONG":                         "28P01",
		"cdp://" + debugged + "/?open=http://" + page + "/":             "page loaded",
		"cdp://" + debugged + "/?open=http://127.0.0.1:1/":              "net::ERR",
		"file://" + file:                    "6 bytes",
		"gopher://" + page:                  "nobody here speaks",
		"redis://" + cache + "#env:NOT_SET": "NOT_SET is not set",
	}
	for target, want := range cases {
		said, err := exchange(t.Context(), target)
		if err != nil {
			said = err.Error()
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: %q, want %q", target, said, want)
		}
	}
}

func TestSlackTellsOfAMessageAndWantsBothTokens(t *testing.T) {
	mux := http.NewServeMux()
	slack(mux)
	at := address(t, mux)
	connection, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	asked, _ := http.NewRequest(http.MethodGet, "http://"+at+"/link/?ticket=1", nil)
	line, err := open(connection, asked.URL)
	if err != nil {
		t.Fatal(err)
	}
	var hello struct{ Type string }
	if err := line.receive(&hello); err != nil || hello.Type != "hello" {
		t.Errorf("%+v, %v", hello, err)
	}
	var opened struct {
		OK  bool
		URL string
	}
	for key, want := range map[string]bool{"xapp-1": true, "xoxb-1": false} {
		_, err := request(t.Context(), http.MethodPost, "http://"+at+"/api/apps.connections.open", nil,
			map[string]string{"authorization": "Bearer " + key}, &opened)
		if err != nil || opened.OK != want {
			t.Errorf("%s: %+v, %v", key, opened, err)
		}
	}
}

func TestWhatRedisSaysIsRESP(t *testing.T) {
	at := store(t, (&redis{password: "right", lists: map[string][]string{}}).serve)
	connection, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for _, one := range [][2]string{
		{"*1\r\n$4\r\nPING\r\n", "-NOAUTH Authentication required.\r\n"},
		{"*2\r\n$4\r\nAUTH\r\n$5\r\nright\r\n", "+OK\r\n"},
		{"*1\r\n$4\r\nPING\r\n", "+PONG\r\n"},
		{"*3\r\n$5\r\nLPUSH\r\n$1\r\na\r\n$1\r\nx\r\n", ":1\r\n"},
		{"*1\r\n$8\r\nFLUSHALL\r\n", "-ERR unknown command\r\n"},
	} {
		if _, err := io.WriteString(connection, one[0]); err != nil {
			t.Fatal(err)
		}
		if line, err := reader.ReadString('\n'); err != nil || line != one[1] {
			t.Errorf("%q: %q, %v", one[0], line, err)
		}
	}
}

func TestTheHandshakeIsThatOfRFC6455(t *testing.T) {
	if got := acceptOf("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" { // section 1.3
		t.Error(got)
	}
}

func TestAnAgentIsWellOnceItHasTalkedToAll(t *testing.T) {
	good := "metrics+http://" + address(t, metrics())
	if _, well := round(t.Context(), []string{good, "tcp://127.0.0.1:1"}); well {
		t.Error("one of the two failed")
	}
	path := filepath.Join(t.TempDir(), "said")
	if code := runTalk(t.Context(), []string{"-once", "-save", path, good}); code != 0 {
		t.Error(code)
	}
	if text, _ := os.ReadFile(path); string(text) != "1 series" {
		t.Errorf("%q", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := runTalk(ctx, []string{"-once", "tcp://127.0.0.1:1"}); code != 1 {
		t.Error(code)
	}
}
