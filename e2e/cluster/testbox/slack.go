package main

import (
	"fmt"
	"net/http"
	"strings"
)

// slack adds what a bot in Socket Mode calls: it asks for a WebSocket by its app's token, is told of a message there,
// and answers by the bot's token.
func slack(mux *http.ServeMux) {
	needs := func(prefix string, then func(http.ResponseWriter, *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.Header.Get("authorization"), "Bearer "+prefix) {
				answerJSON(w, map[string]any{"ok": false, "error": "invalid_auth"})
				return
			}
			then(w, r)
		}
	}
	mux.HandleFunc("POST /api/apps.connections.open", needs("xapp-", func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if host == "slack.com" { // as the real one does, which has others for that
			host = "wss-primary.slack.com"
		}
		answerJSON(w, map[string]any{"ok": true, "url": "wss://" + host + "/link/?ticket=1"})
	}))
	mux.HandleFunc("POST /api/chat.postMessage", needs("xoxb-", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]any{"ok": true, "ts": "1"})
	}))
	mux.HandleFunc("GET /link/", func(w http.ResponseWriter, r *http.Request) {
		line, err := upgrade(w, r)
		if err != nil {
			return
		}
		defer line.Close()
		_ = line.send(map[string]any{"type": "hello", "num_connections": 1})
		_ = line.send(map[string]any{"type": "events_api", "envelope_id": "e1", "payload": map[string]any{
			"event": map[string]string{"type": "app_mention", "channel": "C1", "text": "Are you there?"}}})
		var acknowledged struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if line.receive(&acknowledged) == nil {
			fmt.Println("slack: acknowledged", acknowledged.EnvelopeID)
		}
	})
}
