package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const requestUsage = `usage: testbox request [flags] URL

One HTTP request as any Go program sends it: it trusts whom SSL_CERT_FILE names, and goes by the environment's proxy.
Prints one JSON line: {"status", "proto", "headers", "body"} or {"error"}. Exit code: 0 for any answer, 1 for none.
`

type answer struct {
	Status  int               `json:"status,omitempty"`
	Proto   string            `json:"proto,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Error   string            `json:"error,omitempty"`
}

type pairs []string

func (p *pairs) String() string     { return strings.Join(*p, ", ") }
func (p *pairs) Set(v string) error { *p = append(*p, v); return nil }

func runRequest(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("request", flag.ContinueOnError)
	method := flags.String("method", http.MethodGet, "method")
	body := flags.String("data", "", "body")
	host := flags.String("host", "", "Host header, or :authority, in place of the URL's")
	sni := flags.String("sni", "", "name in the TLS handshake, in place of the URL's; its certificate is not looked at")
	timeout := flags.Duration("timeout", 10*time.Second, "for all of it")
	var headers pairs
	flags.Var(&headers, "header", "NAME: VALUE, repeatable")
	flags.Usage = func() { fmt.Fprint(os.Stderr, requestUsage); flags.PrintDefaults() }
	if flags.Parse(args) != nil || flags.NArg() != 1 {
		flags.Usage()
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, *method, flags.Arg(0), strings.NewReader(*body))
	if err != nil {
		return fail(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Add(name, strings.TrimSpace(value))
	}
	if *host != "" {
		request.Host = *host
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if *sni != "" {
		transport.TLSClientConfig = &tls.Config{ServerName: *sni, InsecureSkipVerify: true}
	}
	found := answerOf(&http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, request)
	line, _ := json.Marshal(found)
	fmt.Println(string(line))
	if found.Error != "" {
		return 1
	}
	return 0
}

func answerOf(client *http.Client, request *http.Request) answer {
	response, err := client.Do(request)
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return answer{Error: err.Error()}
	}
	found := answer{Status: response.StatusCode, Proto: response.Proto, Headers: map[string]string{}, Body: string(body)}
	for name, values := range response.Header {
		found.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return found
}
