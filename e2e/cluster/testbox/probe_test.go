package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	system := func(number syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", number)}
	}
	cases := map[string]struct {
		err  error
		want string
	}{
		"silence":             {context.DeadlineExceeded, blocked},
		"silence, in http":    {&url.Error{Op: "Get", URL: "http://x", Err: context.DeadlineExceeded}, blocked},
		"silence, on a read":  {os.ErrDeadlineExceeded, blocked},
		"no route":            {system(syscall.ENETUNREACH), blocked},
		"host unreachable":    {system(syscall.EHOSTUNREACH), blocked},
		"forbidden locally":   {system(syscall.EPERM), blocked},
		"an answer: no":       {system(syscall.ECONNREFUSED), refused},
		"an answer: reset":    {system(syscall.ECONNRESET), refused},
		"DNS is silent":       {&net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true}, blocked},
		"no such name":        {&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, failed},
		"something different": {errors.New("what?"), failed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got, reason := classify(c.err); got != c.want {
				t.Errorf("got %s (%s), want %s", got, reason, c.want)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		buffer := make([]byte, 64)
		for {
			n, from, err := echo.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(buffer[:n], from)
		}
	}()
	config, _ := trust("")
	prober := &prober{timeout: 5 * time.Second, tls: config}
	cases := map[string]string{
		web.URL:                                 reachable, // any status is an answer
		"tcp://" + web.Listener.Addr().String(): reachable,
		"udp://" + echo.LocalAddr().String():    reachable,
		"tcp://127.0.0.1:1":                     refused,
		"gopher://127.0.0.1":                    failed,
		"127.0.0.1:80":                          failed,
	}
	for target, want := range cases {
		if got := prober.one(t.Context(), target); got.Verdict != want {
			t.Errorf("%s: got %+v, want %s", target, got, want)
		}
	}
}

func TestNoSuchName(t *testing.T) {
	question := []byte{0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	answer := noSuchName(question)
	if answer[0] != 0x12 || answer[2]&0x80 == 0 || answer[3]&0x0f != 3 {
		t.Errorf("not an NXDOMAIN to the question: %x", answer)
	}
	if got := noSuchName([]byte{1}); len(got) != 1 {
		t.Errorf("a datagram that is no question comes back as it is: %x", got)
	}
}
