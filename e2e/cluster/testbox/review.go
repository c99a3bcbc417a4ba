package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
)

// runReview is an admission webhook that allows everything: what any webhook costs, before it decides anything.
func runReview(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("review", flag.ContinueOnError)
	listen := flags.String("listen", ":8443", "HTTPS address")
	cert := flags.String("cert", "", "certificate file")
	key := flags.String("key", "", "key file of -cert")
	if flags.Parse(args) != nil {
		return 2
	}
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(allow)}
	return serve(ctx, func() error { return server.ListenAndServeTLS(*cert, *key) })
}

func allow(w http.ResponseWriter, r *http.Request) {
	var review struct{ Request struct{ UID string } }
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("content-type", "application/json")
	fmt.Fprintf(w, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%q,"allowed":true}}`,
		review.Request.UID)
}
