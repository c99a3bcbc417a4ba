package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"
)

// silent is an address that takes datagrams and never answers.
func silent(t *testing.T) string {
	connection, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return "udp://" + connection.LocalAddr().String()
}

func streamed(t *testing.T, timeout, last time.Duration, targets ...string) map[string][]attempt {
	var out bytes.Buffer
	(&prober{timeout: timeout, once: true}).stream(t.Context(), targets, 5*time.Millisecond, last, &out)
	found := map[string][]attempt{}
	lines := json.NewDecoder(&out)
	for lines.More() {
		var one attempt
		if err := lines.Decode(&one); err != nil {
			t.Fatal(err)
		}
		found[one.Target] = append(found[one.Target], one)
	}
	return found
}

func TestAStreamGoesOnBesideAttemptsWithoutAnAnswer(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	reached, lost := "tcp://"+open.Addr().String(), silent(t)
	began := float64(time.Now().UnixMicro()) / 1e6
	found := streamed(t, 300*time.Millisecond, 600*time.Millisecond, reached, lost, "tcp://127.0.0.1:1")
	ended := float64(time.Now().UnixMicro()) / 1e6
	for target, want := range map[string]string{reached: reachable, lost: blocked, "tcp://127.0.0.1:1": refused} {
		// 120 would be the full pace. One attempt after the other, the silent target would get two or three.
		if len(found[target]) < 20 {
			t.Errorf("%s: %d attempts in 0.6 s, at a pace of 5 ms", target, len(found[target]))
		}
		for _, one := range found[target] {
			if one.Verdict != want || one.Start < began || one.Start > ended {
				t.Errorf("%s: got %+v, want %s between %f and %f", target, one, want, began, ended)
			}
		}
	}
}

func TestWhatHasBegunGetsItsVerdictWhenTheTimeIsUp(t *testing.T) {
	lost := silent(t)
	found := streamed(t, 400*time.Millisecond, 200*time.Millisecond, lost)[lost]
	if len(found) == 0 {
		t.Fatal("no attempt")
	}
	for _, one := range found {
		if one.Verdict != blocked || one.Millis < 390 {
			t.Errorf("given up early: %+v", one)
		}
	}
}

func TestAnAttendedStreamEndsWithItsInput(t *testing.T) {
	reader, writer := io.Pipe()
	ctx := attend(t.Context(), reader)
	if _, err := writer.Write([]byte("still here")); err != nil || ctx.Err() != nil {
		t.Fatalf("it ended before its input: %v, %v", err, ctx.Err())
	}
	writer.Close()
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Second):
		t.Error("it goes on")
	}
}

func TestAnAttemptOfAStreamIsOnePacket(t *testing.T) {
	connection, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for _, once := range []bool{true, false} {
		(&prober{timeout: 600 * time.Millisecond, once: once}).one(t.Context(), "udp://"+connection.LocalAddr().String())
		_ = connection.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		buffer, got := make([]byte, 64), 0
		for {
			if _, _, err := connection.ReadFrom(buffer); err != nil {
				break
			}
			got++
		}
		if (got == 1) != once {
			t.Errorf("once=%v: %d datagrams", once, got)
		}
	}
}
