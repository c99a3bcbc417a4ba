package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

const talkUsage = `usage: testbox talk [flags] TARGET...

Has a whole exchange with each target, again and again, and says how it went. /healthz answers 503 unless the last
exchange with every target went well; so an agent that is Ready has talked to all of them.

Targets: anthropic+https://  slack+https://  mcp+http://  a2a+http://  vectors+http://  metrics+http://  git+http://
         cdp://host:port/?open=URL  redis://  postgres://  kubernetes:///api/v1/...  file:///path
The part after # says where the credential is: #env:NAME or #file:/path; slack takes two, #env:APP,env:BOT.
`

// runTalk is an agent of any kind: what it does is in its targets.
func runTalk(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("talk", flag.ContinueOnError)
	listen := flags.String("listen", "", "where /healthz answers, such as :8080 (default: nowhere)")
	every := flags.Duration("every", 2*time.Second, "pause between two rounds")
	once := flags.Bool("once", false, "end after the first round in which all went well, with 0; after -for with 1")
	last := flags.Duration("for", time.Minute, "with -once: how long it is tried")
	save := flags.String("save", "", "with -once: write what the last target said into this file")
	flags.Usage = func() { fmt.Fprint(os.Stderr, talkUsage); flags.PrintDefaults() }
	if flags.Parse(args) != nil {
		return 2
	}
	if *once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *last)
		defer cancel()
	}
	var state atomic.Value
	state.Store("503 no round yet")
	if *listen != "" {
		go servePanel(*listen, &state, true)
	}
	for {
		said, well := round(ctx, flags.Args())
		state.Store("503 something failed")
		if well {
			state.Store("200 all went well")
		}
		if *once && well {
			if *save == "" {
				return 0
			}
			return runWrite(ctx, []string{*save, said})
		}
		select {
		case <-ctx.Done():
			if *once {
				return 1
			}
			return 0
		case <-time.After(*every):
		}
	}
}

// round talks to all targets; what the last one said, and whether all went well.
func round(ctx context.Context, targets []string) (said string, well bool) {
	well = true
	for _, target := range targets {
		shown, _, _ := strings.Cut(target, "#")
		text, err := exchange(ctx, target)
		if err != nil {
			well = false
			_, text = classify(err)
			text = "failed: " + text
		}
		said = text
		fmt.Printf("%s %s: %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), shown, text)
	}
	return said, well
}

func credential(where string) (string, error) {
	kind, name, _ := strings.Cut(where, ":")
	switch kind {
	case "":
		return "", nil
	case "env":
		value := os.Getenv(name)
		if value == "" {
			return "", fmt.Errorf("variable %s is not set", name)
		}
		return value, nil
	case "file":
		text, err := os.ReadFile(name)
		return strings.TrimSpace(string(text)), err
	}
	return "", fmt.Errorf("a credential is env:NAME or file:PATH, not %s", kind)
}

func exchange(ctx context.Context, target string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	found, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	var keys []string
	for where := range strings.SplitSeq(found.Fragment, ",") {
		key, err := credential(where)
		if err != nil {
			return "", err
		}
		keys = append(keys, key)
	}
	found.Fragment = ""
	kind, scheme, _ := strings.Cut(found.Scheme, "+")
	if scheme != "" {
		found.Scheme = scheme
	}
	switch kind {
	case "redis":
		return overTCP(ctx, found.Host, func(c net.Conn) (string, error) { return talkRedis(c, keys[0]) })
	case "postgres":
		return overTCP(ctx, found.Host, func(c net.Conn) (string, error) { return talkPostgres(c, keys[0]) })
	case "file":
		text, err := os.ReadFile(found.Path)
		return fmt.Sprintf("%d bytes", len(text)), err
	case "cdp":
		return talkBrowser(ctx, found.Host, found.Query().Get("open"))
	case "kubernetes":
		return talkKubernetes(ctx, found.Path)
	case "anthropic":
		config, _ := clientTrust("")
		said := ask(ctx, &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, found.String(), keys[0])
		if !strings.HasPrefix(said, "200") {
			return "", errors.New(said)
		}
		return said, nil
	}
	speak := map[string]func(context.Context, *url.URL, []string) (string, error){
		"slack": talkSlack, "mcp": talkMCP, "a2a": talkPeer, "vectors": talkVectors, "metrics": talkMetrics, "git": talkGit,
	}[kind]
	if speak == nil {
		return "", fmt.Errorf("nobody here speaks %s", kind)
	}
	return speak(ctx, found, keys)
}

func overTCP(ctx context.Context, address string, talk func(net.Conn) (string, error)) (string, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	_ = connection.SetDeadline(deadline)
	return talk(connection)
}

// request sends JSON (or nothing) and reads JSON into `into`, where that is not nil; the answer's headers.
func request(ctx context.Context, method, address string, body any, headers map[string]string, into any) (http.Header, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	asked, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, err
	}
	asked.Header.Set("content-type", "application/json")
	for name, value := range headers {
		asked.Header.Set(name, value)
	}
	config, _ := clientTrust("")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	answer, err := client.Do(asked)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		return nil, errors.New(answer.Status)
	}
	if into == nil {
		return answer.Header, nil
	}
	return answer.Header, json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(into)
}

func talkMCP(ctx context.Context, at *url.URL, _ []string) (string, error) {
	headers := map[string]string{"accept": "application/json, text/event-stream"}
	send := func(id int, method string, params any, into any) (http.Header, error) {
		body := map[string]any{"jsonrpc": "2.0", "method": method, "params": params}
		if id > 0 {
			body["id"] = id
		}
		return request(ctx, http.MethodPost, at.String(), body, headers, into)
	}
	hello := map[string]any{"protocolVersion": mcpVersion, "capabilities": map[string]any{},
		"clientInfo": map[string]string{"name": "testbox", "version": "1"}}
	var begun struct {
		Result struct{ ProtocolVersion string }
	}
	told, err := send(1, "initialize", hello, &begun)
	if err != nil {
		return "", err
	}
	headers["Mcp-Session-Id"], headers["MCP-Protocol-Version"] = told.Get("Mcp-Session-Id"), begun.Result.ProtocolVersion
	if _, err := send(0, "notifications/initialized", map[string]any{}, nil); err != nil {
		return "", err
	}
	var tools struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if _, err := send(2, "tools/list", map[string]any{}, &tools); err != nil || len(tools.Result.Tools) == 0 {
		return "", errors.Join(err, errors.New("no tools"))
	}
	name := tools.Result.Tools[0].Name
	var called struct {
		Result struct{ Content []struct{ Text string } }
	}
	params := map[string]any{"name": name, "arguments": map[string]string{"word": "fence"}}
	if _, err := send(3, "tools/call", params, &called); err != nil || len(called.Result.Content) == 0 {
		return "", errors.Join(err, errors.New("the tool says nothing"))
	}
	return name + ": " + called.Result.Content[0].Text, nil
}

func talkPeer(ctx context.Context, at *url.URL, _ []string) (string, error) {
	var card struct{ Name string }
	if _, err := request(ctx, http.MethodGet, at.JoinPath(".well-known/agent-card.json").String(), nil, nil, &card); err != nil {
		return "", err
	}
	part := map[string]string{"kind": "text", "text": "Summarise chapter one."}
	params := map[string]any{"message": map[string]any{"role": "user", "messageId": "m0", "kind": "message", "parts": []any{part}}}
	var answer struct {
		Result struct{ Parts []struct{ Text string } }
	}
	body := map[string]any{"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": params}
	if _, err := request(ctx, http.MethodPost, at.JoinPath("/").String(), body, nil, &answer); err != nil || len(answer.Result.Parts) == 0 {
		return "", errors.Join(err, errors.New("the other agent says nothing"))
	}
	return card.Name + ": " + answer.Result.Parts[0].Text, nil
}

func talkVectors(ctx context.Context, at *url.URL, _ []string) (string, error) {
	points := []point{{ID: 1, Vector: []float64{1, 0}}, {ID: 2, Vector: []float64{0, 1}}}
	if _, err := request(ctx, http.MethodPut, at.JoinPath("points").String(), map[string]any{"points": points}, nil, nil); err != nil {
		return "", err
	}
	var found struct {
		Result struct{ Points []struct{ ID int } }
	}
	query := map[string]any{"query": []float64{0.1, 0.9}, "limit": 1}
	_, err := request(ctx, http.MethodPost, at.JoinPath("points/query").String(), query, nil, &found)
	if err != nil || len(found.Result.Points) == 0 || found.Result.Points[0].ID != 2 {
		return "", errors.Join(err, errors.New("another point is nearest"))
	}
	return "nearest: 2", nil
}

func talkMetrics(ctx context.Context, at *url.URL, _ []string) (string, error) {
	var found struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	_, err := request(ctx, http.MethodGet, at.JoinPath("api/v1/query").String()+"?query=up", nil, nil, &found)
	if err != nil || found.Status != "success" {
		return "", errors.Join(err, errors.New("the query failed"))
	}
	return fmt.Sprintf("%d series", len(found.Data.Result)), nil
}

// talkGit reads the references of a repository, as the first half of a clone does.
func talkGit(ctx context.Context, at *url.URL, _ []string) (string, error) {
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, at.JoinPath("info/refs").String()+"?service=git-upload-pack", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(asked)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	reader := bufio.NewReader(io.LimitReader(answer.Body, 1<<16))
	if line, err := reader.ReadString('\n'); err != nil || line != packet("# service=git-upload-pack\n") {
		return "", errors.Join(err, errors.New("no Git there"))
	}
	line, err := reader.ReadString('\n')
	if err != nil || len(line) < 8+len(commit) {
		return "", errors.Join(err, errors.New("no reference"))
	}
	return line[8 : 8+len(commit)], nil
}

func talkBrowser(ctx context.Context, host, page string) (string, error) {
	var version struct {
		Debugger string `json:"webSocketDebuggerUrl"`
	}
	if _, err := request(ctx, http.MethodGet, "http://"+host+"/json/version", nil, nil, &version); err != nil {
		return "", err
	}
	debugger, err := url.Parse(version.Debugger)
	if err != nil {
		return "", err
	}
	return overTCP(ctx, host, func(connection net.Conn) (string, error) {
		line, err := open(connection, debugger)
		if err != nil {
			return "", err
		}
		asked := map[string]any{"id": 1, "method": "Page.navigate", "params": map[string]string{"url": page}}
		if err := line.send(asked); err != nil {
			return "", err
		}
		var answer struct {
			Result struct{ LoaderID, ErrorText string }
		}
		if err := line.receive(&answer); err != nil {
			return "", err
		}
		if answer.Result.ErrorText != "" {
			return "", errors.New(answer.Result.ErrorText)
		}
		return "page loaded", nil
	})
}

// talkSlack takes two tokens: that of the app and that of the bot.
func talkSlack(ctx context.Context, at *url.URL, keys []string) (string, error) {
	if len(keys) != 2 {
		return "", errors.New("slack takes two credentials")
	}
	post := func(method, key string, body, into any) error {
		headers := map[string]string{"authorization": "Bearer " + key}
		_, err := request(ctx, http.MethodPost, at.JoinPath("api", method).String(), body, headers, into)
		return err
	}
	var opened struct {
		OK         bool
		URL, Error string
	}
	if err := post("apps.connections.open", keys[0], nil, &opened); err != nil || !opened.OK {
		return "", errors.Join(err, errors.New("not opened: "+opened.Error))
	}
	link, err := url.Parse(opened.URL)
	if err != nil {
		return "", err
	}
	config, _ := clientTrust("")
	connection, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", net.JoinHostPort(link.Hostname(), "443"))
	if err != nil {
		return "", err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	_ = connection.SetDeadline(deadline)
	line, err := open(connection, link)
	if err != nil {
		return "", err
	}
	var envelope struct {
		Type    string
		ID      string `json:"envelope_id"`
		Payload struct{ Event struct{ Channel string } }
	}
	for envelope.Type != "events_api" {
		if err := line.receive(&envelope); err != nil {
			return "", err
		}
	}
	if err := line.send(map[string]string{"envelope_id": envelope.ID}); err != nil {
		return "", err
	}
	var posted struct {
		OK    bool
		Error string
	}
	body := map[string]string{"channel": envelope.Payload.Event.Channel, "text": "I am."}
	if err := post("chat.postMessage", keys[1], body, &posted); err != nil || !posted.OK {
		return "", errors.Join(err, errors.New("not posted: "+posted.Error))
	}
	return "answered", nil
}

// talkKubernetes reads a list from the API server with the pod's own token.
func talkKubernetes(ctx context.Context, path string) (string, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return "", err
	}
	var list struct{ Items []json.RawMessage }
	address := "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")) + path
	_, err = request(ctx, http.MethodGet, address, nil, map[string]string{"authorization": "Bearer " + string(token)}, &list)
	return fmt.Sprintf("%d objects", len(list.Items)), err
}
