package main

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// A dropped SYN is sent again after one second: an attempt that is given up before is one packet, and says what became
// of packets at its start. It is long enough for an answer on a busy machine.
const streamTimeout = 500 * time.Millisecond

// So many attempts wait for an answer at most. What would be one more is left out, and is not in the output.
const mostInFlight = 2048

// attempt is one of many at the same target.
type attempt struct {
	Start float64 `json:"start"` // unix time in seconds, right before the first packet
	result
}

// stream tries all targets at a fixed pace until the time is up, one JSON line for each attempt as it ends. Attempts
// overlap: one without an answer does not delay the next.
func (p *prober) stream(ctx context.Context, targets []string, every, last time.Duration, out io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, last)
	defer cancel()
	pace := time.NewTicker(every)
	defer pace.Stop()
	var wait sync.WaitGroup
	defer wait.Wait()
	lines := &lineWriter{out: json.NewEncoder(out)}
	room := make(chan struct{}, mostInFlight)
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C: // a tick that this loop is too late for is dropped: attempts never come in a burst
		}
		for _, target := range targets {
			select {
			case room <- struct{}{}:
			default:
				continue
			}
			wait.Go(func() {
				defer func() { <-room }()
				started := time.Now()
				// Not the stream's context: what has begun when the time is up still gets its verdict.
				found := p.one(context.WithoutCancel(ctx), target)
				lines.write(attempt{Start: float64(started.UnixMicro()) / 1e6, result: found})
			})
		}
	}
}

// attend gives a context that ends with the input: `kubectl exec` that is stopped leaves its program running otherwise.
func attend(ctx context.Context, input io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, input)
	}()
	return ctx
}

// lineWriter writes each line at once and as a whole: what is killed has told all that it knew.
type lineWriter struct {
	mutex sync.Mutex
	out   *json.Encoder
}

func (w *lineWriter) write(one attempt) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	_ = w.out.Encode(one)
}
