package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"
)

// runLLM answers like the messages API of an LLM provider, and like Slack, so that an agent needs no change to be
// tried without the internet. It wants some key, and takes any; as api.anthropic.com those that look like one of it.
func runLLM(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("llm", flag.ContinueOnError)
	listen := flags.String("listen", ":443", "HTTPS address")
	cert := flags.String("cert", "", "certificate file (default: one made at start)")
	key := flags.String("key", "", "key file of -cert")
	names := flags.String("names", "llm.example,localhost,127.0.0.1", "names and addresses in a certificate made at start")
	if flags.Parse(args) != nil {
		return 2
	}
	certificate, err := certificateFor(*cert, *key, strings.Split(*names, ","))
	if err != nil {
		return fail(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", answerMessage)
	slack(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "pretend LLM") })
	server := &http.Server{Addr: *listen, Handler: mux,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	return serve(ctx, func() error { return server.ListenAndServeTLS("", "") })
}

func answerMessage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("content-type", "application/json")
	if r.Header.Get("x-api-key") == "" && r.Header.Get("authorization") == "" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, `{"type":"error","error":{"type":"authentication_error","message":"x-api-key header is required"}}`)
		return
	}
	key := cmp.Or(r.Header.Get("x-api-key"), strings.TrimPrefix(r.Header.Get("authorization"), "Bearer "))
	if r.Host == "api.anthropic.com" && !strings.HasPrefix(key, "sk-ant-") {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`)
		return
	}
	var question struct {
		Model string `json:"model"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&question); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(w, `{"type":"error","error":{"type":"invalid_request_error","message":"the body is not JSON"}}`)
		return
	}
	answer := map[string]any{
		"id": "msg_pretend", "type": "message", "role": "assistant", "model": question.Model,
		"content":     []map[string]string{{"type": "text", "text": "I am here, and only here."}},
		"stop_reason": "end_turn", "usage": map[string]int{"input_tokens": 5, "output_tokens": 7},
	}
	// For tests of what a gateway sends in place of what an agent holds.
	if r.Header.Get("x-pretend-show") != "" {
		answer["seen"], answer["query"] = r.Header, r.URL.RawQuery
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func certificateFor(certFile, keyFile string, names []string) (tls.Certificate, error) {
	if certFile != "" {
		return tls.LoadX509KeyPair(certFile, keyFile)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
