package main

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// runProxy is a corporate proxy: it takes CONNECT, and prints a line for each: what was asked for, and what it answered.
func runProxy(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	address := flags.String("listen", ":3128", "address to listen on")
	known := flags.String("credentials", "", "env:NAME or file:PATH: USER:PASSWORD that it wants; without it, none")
	if flags.Parse(args) != nil {
		return 2
	}
	wanted, err := credential(*known)
	if err != nil {
		return fail(err)
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		status := connect(w, r, wanted)
		fmt.Println(r.Method, r.Host, status)
	}
	return serve(ctx, func() error { return http.ListenAndServe(*address, http.HandlerFunc(answer)) })
}

// connect answers one request, and returns the status that it gave. Bytes go on both ways after it has returned.
func connect(w http.ResponseWriter, r *http.Request, wanted string) int {
	status := http.StatusOK
	told := r.Header.Get("Proxy-Authorization")
	host := net.Conn(nil)
	switch {
	case r.Method != http.MethodConnect:
		status = http.StatusMethodNotAllowed
	case wanted != "" && told != "Basic "+base64.StdEncoding.EncodeToString([]byte(wanted)):
		status = http.StatusProxyAuthRequired
	default:
		var err error
		if host, err = net.DialTimeout("tcp", r.Host, 5*time.Second); err != nil {
			status = http.StatusBadGateway
		}
	}
	if host == nil {
		w.WriteHeader(status)
		return status
	}
	client, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = host.Close()
		return http.StatusInternalServerError
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go pour(host, early)
	go pour(client, host)
	return status
}

// pour copies until either side ends, and then ends the receiving one: that has the other direction end, too.
func pour(to net.Conn, from io.Reader) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}
