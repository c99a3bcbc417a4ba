package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// runKeycheck is the other side of a rotating key: an HTTP server that lets in who shows the value of a Secret, or
// the one before while that is still stored. It reads the Secret anew for each request, with its pod's own token.
func runKeycheck(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("keycheck", flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "where to listen")
	secret := flags.String("secret", "", "NAMESPACE/NAME of the Secret")
	stubborn := flags.Bool("stubborn", false, "take the first value that is seen, and never another")
	if flags.Parse(args) != nil {
		return 2
	}
	namespace, name, _ := strings.Cut(*secret, "/")
	config, err := trust(account + "ca.crt")
	if err != nil {
		return fail(err)
	}
	api := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
	where := fmt.Sprintf("https://%s:%s/api/v1/namespaces/%s/secrets/%s", os.Getenv("KUBERNETES_SERVICE_HOST"),
		os.Getenv("KUBERNETES_SERVICE_PORT"), namespace, name)
	var first atomic.Value
	handler := http.NewServeMux()
	handler.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	handler.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		data, err := values(r.Context(), api, where)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		if *stubborn {
			first.CompareAndSwap(nil, data["value"])
			data = map[string][]byte{"value": first.Load().([]byte)}
		}
		for _, key := range []string{"value", "previous"} {
			if len(data[key]) > 0 && subtle.ConstantTimeCompare(data[key], []byte(r.Header.Get("x-api-key"))) == 1 {
				fmt.Fprintln(w, key) // which of the two it was, never the value
				return
			}
		}
		fmt.Println("refused", r.RemoteAddr)
		http.Error(w, "neither the value nor the one before", http.StatusUnauthorized)
	})
	return serve(ctx, func() error { return http.ListenAndServe(*listen, handler) })
}

func values(ctx context.Context, api *http.Client, where string) (map[string][]byte, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("authorization", "Bearer "+string(token))
	response, err := api.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API server says %s", response.Status)
	}
	var secret struct{ Data map[string][]byte }
	return secret.Data, json.NewDecoder(response.Body).Decode(&secret)
}
