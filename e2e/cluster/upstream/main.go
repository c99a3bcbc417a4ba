// Upstream is a host of the pretend internet, for tests of the egress gateway: HTTP/1 and HTTP/2, event streams,
// WebSockets, and an account of each connection and request on standard output, as JSON lines.
package main

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

type told struct {
	Method   string              `json:"method"`
	Target   string              `json:"target"`
	Host     string              `json:"host"`
	Protocol string              `json:"protocol"`
	SNI      string              `json:"sni"`
	TLS      string              `json:"tls"`
	Headers  map[string][]string `json:"headers"`
	Trailers map[string][]string `json:"trailers"`
	Bytes    int64               `json:"bytes"`
	Digest   string              `json:"digest"`
	Local    string              `json:"local"`
}

var account = struct {
	sync.Mutex
	*json.Encoder
}{Encoder: json.NewEncoder(os.Stdout)}

func note(what string, value any) {
	account.Lock()
	defer account.Unlock()
	_ = account.Encode(map[string]any{what: value})
}

func main() {
	listen := flag.String("listen", "127.0.0.1:443", "address")
	cert := flag.String("cert", "", "certificate file; empty: no TLS")
	key := flag.String("key", "", "key file")
	http1 := flag.Bool("http1", false, "HTTP/1 alone")
	oldest := flag.Bool("tls12", false, "TLS 1.2 alone")
	flag.Parse()
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(answer), Protocols: protocols(*http1)}
	server.ConnState = func(connection net.Conn, state http.ConnState) {
		if state == http.StateNew {
			note("connection", connection.LocalAddr().String())
		}
	}
	socket, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	note("listening", *listen)
	if *cert == "" {
		err = server.Serve(socket)
	} else {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if *oldest {
			server.TLSConfig.MaxVersion = tls.VersionTLS12
		}
		err = server.ServeTLS(socket, *cert, *key)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func protocols(http1 bool) *http.Protocols {
	spoken := new(http.Protocols)
	spoken.SetHTTP1(true)
	spoken.SetHTTP2(!http1)
	return spoken
}

func answer(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch r.URL.Path {
	case "/events":
		events(w, number(query.Get("count"), 10), time.Duration(number(query.Get("every"), 20))*time.Millisecond)
		return
	case "/ws":
		webSocket(w, r)
		return
	case "/bytes":
		count := number(query.Get("count"), 1)
		w.Header().Set("content-length", strconv.Itoa(count))
		_, _ = io.CopyN(w, zeroes{}, int64(count))
		return
	case "/take": // reads all, and keeps and tells nothing
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	case "/fast":
		_, _ = io.WriteString(w, "ok\n")
		return
	case "/wait":
		time.Sleep(time.Duration(number(query.Get("ms"), 1000)) * time.Millisecond)
	case "/any/redirect":
		http.Redirect(w, r, query.Get("to"), http.StatusFound)
		return
	}
	digest := sha256.New()
	size, _ := io.Copy(digest, r.Body)
	found := told{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Protocol: r.Proto, Headers: r.Header, Trailers: r.Trailer,
		Bytes: size, Digest: hex.EncodeToString(digest.Sum(nil)),
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		found.Local = local.String()
	}
	if r.TLS != nil {
		found.SNI, found.TLS = r.TLS.ServerName, tls.VersionName(r.TLS.Version)
	}
	note("request", found)
	if query.Has("reflect") { // a host that shows what it was sent
		for _, name := range []string{"X-Api-Key", "Authorization"} {
			for _, value := range r.Header[name] {
				w.Header().Add("x-seen-"+name, value)
				w.Header().Add("x-seen-inside", "<"+value+">")
			}
		}
		w.Header().Set("location", r.RequestURI)
		w.Header().Set("content-location", "/other?"+query.Encode()) // as a form writes it
		w.Header().Set("x-seen-key", "<"+query.Get("key")+">")
	}
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(found)
}

type zeroes struct{}

func (zeroes) Read(into []byte) (int, error) { return len(into), nil }

func number(text string, otherwise int) int {
	if found, err := strconv.Atoi(text); err == nil {
		return found
	}
	return otherwise
}

var open atomic.Int64

func events(w http.ResponseWriter, count int, every time.Duration) {
	note("open", open.Add(1))
	defer func() { note("open", open.Add(-1)) }()
	w.Header().Set("content-type", "text/event-stream")
	flusher := http.NewResponseController(w)
	for event := range count {
		fmt.Fprintf(w, "data: {\"event\": %d, \"at\": %d}\n\n", event, time.Now().UnixMicro())
		if flusher.Flush() != nil {
			return
		}
		time.Sleep(every)
	}
}

// webSocket echoes frames until one closes the connection (RFC 6455).
func webSocket(w http.ResponseWriter, r *http.Request) {
	accept := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	connection, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "HTTP/1 is needed", http.StatusBadRequest)
		return
	}
	defer connection.Close()
	note("websocket", r.RequestURI)
	fmt.Fprintf(buffer, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n")
	fmt.Fprintf(buffer, "sec-websocket-accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(accept[:]))
	for buffer.Flush() == nil && echo(buffer) {
	}
}

// echo sends one short frame back, unmasked; false for a frame that closes, or none.
func echo(buffer *bufio.ReadWriter) bool {
	var head [6]byte
	if _, err := io.ReadFull(buffer, head[:]); err != nil || head[0]&0x0f == 8 {
		return false
	}
	payload := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(buffer, payload); err != nil {
		return false
	}
	for at := range payload {
		payload[at] ^= head[2+at%4]
	}
	_, err := buffer.Write(append([]byte{head[0], byte(len(payload))}, payload...))
	return err == nil
}
