package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// serve runs servers until the context ends or one of them fails.
func serve(ctx context.Context, servers ...func() error) int {
	broken := make(chan error, len(servers))
	for _, server := range servers {
		go func() { broken <- server() }()
	}
	select {
	case <-ctx.Done():
		return 0
	case err := <-broken:
		return fail(err)
	}
}

func runEcho(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	tcp := flags.String("tcp", "", "TCP address to listen on, such as :7")
	udp := flags.String("udp", "", "UDP address")
	web := flags.String("http", "", "HTTP address")
	if flags.Parse(args) != nil {
		return 2
	}
	var servers []func() error
	if *tcp != "" {
		servers = append(servers, func() error { return echoTCP(*tcp) })
	}
	if *udp != "" {
		servers = append(servers, func() error { return answerUDP(*udp, func(got []byte) []byte { return got }) })
	}
	if *web != "" {
		servers = append(servers, func() error { return http.ListenAndServe(*web, http.HandlerFunc(echoHTTP)) })
	}
	if len(servers) == 0 {
		return fail(errors.New("echo: nothing to listen on; give -tcp, -udp or -http"))
	}
	return serve(ctx, servers...)
}

func echoTCP(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			_, _ = io.Copy(connection, connection)
		}()
	}
}

func echoHTTP(w http.ResponseWriter, r *http.Request) {
	host, _ := os.Hostname()
	fmt.Fprintf(w, "%s %s from %s at %s\n", r.Method, r.URL.Path, r.RemoteAddr, host)
}

func answerUDP(address string, answer func([]byte) []byte) error {
	connection, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	buffer := make([]byte, 65535)
	for {
		n, from, err := connection.ReadFrom(buffer)
		if err != nil {
			return err
		}
		_, _ = connection.WriteTo(answer(buffer[:n]), from)
	}
}

func runDNS(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("dns", flag.ContinueOnError)
	listen := flags.String("listen", ":53", "UDP address")
	if flags.Parse(args) != nil {
		return 2
	}
	return serve(ctx, func() error { return answerUDP(*listen, noSuchName) })
}

// noSuchName makes a DNS question into the answer NXDOMAIN: only the flags of the header change.
func noSuchName(question []byte) []byte {
	if len(question) < 12 {
		return question
	}
	question[2] |= 0x80                       // QR: this is a response
	question[3] = question[3]&0x70 | 0x80 | 3 // RA, and code 3
	return question
}

func runMetadata(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("metadata", flag.ContinueOnError)
	listen := flags.String("listen", "169.254.169.254:80", "HTTP address")
	if flags.Parse(args) != nil {
		return 2
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/latest/meta-data/iam/security-credentials/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"AccessKeyId": "PRETEND", "SecretAccessKey": "pretend", "Token": "pretend"}`)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "pretend metadata") })
	return serve(ctx, func() error { return http.ListenAndServe(*listen, mux) })
}
