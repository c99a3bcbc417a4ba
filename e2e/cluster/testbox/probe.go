package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"sync"
	"syscall"
	"time"
)

// A verdict says what became of the packets. "refused" is kept apart from "blocked" on purpose: an
// answer came, so nothing was dropped, and a test that demands "blocked" must not pass on it.
const (
	reachable = "reachable"
	refused   = "refused"
	blocked   = "blocked"
	failed    = "error" // the probe could not be made: a bad target, a name that does not exist
)

type result struct {
	Target  string `json:"target"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Millis  int64  `json:"ms"`
}

type prober struct {
	timeout time.Duration
	tls     *tls.Config
	once    bool // a datagram is not sent again: an attempt is one packet
}

const probeUsage = `usage: testbox probe [flags] TARGET...

Targets: tcp://host:port  udp://host:port (wants an echo)  http://...  https://...  dns://name[@server[:port]]
Prints one JSON line for each: {"target", "verdict": reachable|refused|blocked|error, "reason", "ms"}.
Exit code: 0 when all verdicts are the expected one, 1 when not, 2 for bad usage.

With -every it tries them again and again, in attempts that overlap, and prints a line for each attempt as it ends:
the same, and "start", its time in unix seconds. The exit code is 0 then, whatever the verdicts.
`

func runProbe(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	timeout := flags.Duration("timeout", 0, "how long one target may take (default 2s, with -every 500ms)")
	every := flags.Duration("every", 0, "try again and again, at this pace")
	last := flags.Duration("for", time.Minute, "with -every: for how long")
	attended := flags.Bool("attended", false, "with -every: end when standard input does, too")
	expect := flags.String("expect", reachable, "the verdict that gives exit code 0, or any")
	caFile := flags.String("ca", "", "trust this CA for https (default: trust anything; a probe tests the way, not the server)")
	flags.Usage = func() { fmt.Fprint(os.Stderr, probeUsage); flags.PrintDefaults() }
	if flags.Parse(args) != nil || flags.NArg() == 0 || *every < 0 {
		flags.Usage()
		return 2
	}
	config, err := trust(*caFile)
	if err != nil {
		return fail(err)
	}
	if *every > 0 {
		if *attended {
			ctx = attend(ctx, os.Stdin)
		}
		p := &prober{timeout: cmp.Or(*timeout, streamTimeout), tls: config, once: true}
		p.stream(ctx, flags.Args(), *every, *last, os.Stdout)
		return 0
	}
	results := (&prober{timeout: cmp.Or(*timeout, 2*time.Second), tls: config}).all(ctx, flags.Args())
	code := 0
	for _, r := range results {
		line, _ := json.Marshal(r)
		fmt.Println(string(line))
		if *expect != "any" && r.Verdict != *expect {
			code = 1
		}
	}
	return code
}

// all probes the targets at the same time, so that twenty blocked ones cost one timeout.
func (p *prober) all(ctx context.Context, targets []string) []result {
	results := make([]result, len(targets))
	var wait sync.WaitGroup
	for i, target := range targets {
		wait.Go(func() { results[i] = p.one(ctx, target) })
	}
	wait.Wait()
	return results
}

func (p *prober) one(ctx context.Context, target string) result {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	started := time.Now()
	reason, err := p.try(ctx, target)
	r := result{Target: target, Verdict: reachable, Reason: reason, Millis: time.Since(started).Milliseconds()}
	if err != nil {
		r.Verdict, r.Reason = classify(err)
	}
	return r
}

func (p *prober) try(ctx context.Context, target string) (string, error) {
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok {
		return "", fmt.Errorf("%q is not like tcp://host:port", target)
	}
	switch scheme {
	case "tcp":
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", rest)
		if err != nil {
			return "", err
		}
		return "connected", connection.Close()
	case "udp":
		return p.tryUDP(ctx, rest)
	case "http", "https":
		return p.tryHTTP(ctx, target)
	case "dns":
		return tryDNS(ctx, rest)
	}
	return "", fmt.Errorf("no probe for %q", scheme)
}

func (p *prober) tryUDP(ctx context.Context, address string) (string, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	answer := make([]byte, 64)
	// A datagram may be lost without anybody's fault: ask again until the time is up.
	for {
		if _, err = connection.Write([]byte("ringfence")); err != nil {
			return "", err
		}
		next := time.Now().Add(250 * time.Millisecond)
		if p.once || next.After(deadline) {
			next = deadline
		}
		_ = connection.SetReadDeadline(next)
		if _, err = connection.Read(answer); err == nil {
			return "echoed", nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(deadline) {
			return "", err
		}
	}
}

func (p *prober) tryHTTP(ctx context.Context, target string) (string, error) {
	// The environment's HTTPS_PROXY counts: an agent reaches the world the way its container is set up.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: p.tls, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return fmt.Sprintf("status %d", response.StatusCode), nil
}

func tryDNS(ctx context.Context, rest string) (string, error) {
	name, server, given := strings.Cut(rest, "@")
	resolver := &net.Resolver{PreferGo: true}
	if given {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(server, "53")
		}
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server)
		}
	}
	addresses, err := resolver.LookupHost(ctx, name)
	var problem *net.DNSError
	if errors.As(err, &problem) && problem.IsNotFound {
		// The server was asked and it answered: the way is open, and that is the question here.
		return "no such name", nil
	}
	return strings.Join(addresses, ","), err
}

// classify turns an error into a verdict. Silence and "no route" are what a fence looks like.
func classify(err error) (verdict, reason string) {
	var bad *url.Error
	if errors.As(err, &bad) {
		err = bad.Err
	}
	var name *net.DNSError
	isName := errors.As(err, &name)
	var timeout net.Error
	switch {
	case isName && name.IsNotFound:
		return failed, "no such name: " + name.Name
	case isName:
		return blocked, "no answer from DNS"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return blocked, "timeout"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return refused, err.Error()
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH),
		errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return blocked, err.Error()
	}
	return failed, err.Error()
}

// clientTrust is trust for what plays an agent: where its environment says whom to trust, it does as any Go program.
func clientTrust(caFile string) (*tls.Config, error) {
	if caFile == "" && os.Getenv("SSL_CERT_FILE") != "" {
		return &tls.Config{}, nil
	}
	return trust(caFile)
}

func trust(caFile string) (*tls.Config, error) {
	if caFile == "" {
		return &tls.Config{InsecureSkipVerify: true}, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &tls.Config{RootCAs: pool}, nil
}
