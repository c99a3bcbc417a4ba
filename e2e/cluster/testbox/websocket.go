package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// As much of RFC 6455 as a browser's debugging port and Slack's Socket Mode need: unfragmented text frames.

const (
	webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	textFrame     = 0x81
	longestFrame  = 1 << 16
)

type socket struct {
	net.Conn
	reader *bufio.Reader
	masks  bool // a client masks what it sends
}

func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + webSocketGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// upgrade makes a request into a WebSocket.
func upgrade(w http.ResponseWriter, r *http.Request) (*socket, error) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		http.Error(w, "this is a WebSocket", http.StatusUpgradeRequired)
		return nil, errors.New("no WebSocket was asked for")
	}
	connection, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", acceptOf(key))
	return &socket{Conn: connection, reader: both.Reader}, both.Flush()
}

// open is the client's side, on a connection that is there already.
func open(connection net.Conn, target *url.URL) (*socket, error) {
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	key := base64.StdEncoding.EncodeToString(random)
	fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", target.RequestURI(), target.Host, key)
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-WebSocket-Accept") != acceptOf(key) {
		return nil, fmt.Errorf("no WebSocket: %s", answer.Status)
	}
	return &socket{Conn: connection, reader: reader, masks: true}, nil
}

func (s *socket) send(value any) error {
	text, err := json.Marshal(value)
	if err != nil || len(text) >= longestFrame {
		return errors.Join(err, errors.New("the message is too long"))
	}
	frame := []byte{textFrame}
	bit := byte(0)
	if s.masks {
		bit = 0x80
	}
	if len(text) < 126 {
		frame = append(frame, bit|byte(len(text)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, bit|126), uint16(len(text)))
	}
	if s.masks {
		mask := make([]byte, 4)
		_, _ = rand.Read(mask)
		frame = append(frame, mask...)
		for i := range text {
			text[i] ^= mask[i%4]
		}
	}
	_, err = s.Write(append(frame, text...))
	return err
}

func (s *socket) receive(value any) error {
	head := make([]byte, 2)
	if _, err := io.ReadFull(s.reader, head); err != nil {
		return err
	}
	if head[0] != textFrame {
		return io.EOF // the other side closes, or says what nobody here asks for
	}
	length := int(head[1] & 0x7f)
	if length == 126 {
		long := make([]byte, 2)
		if _, err := io.ReadFull(s.reader, long); err != nil {
			return err
		}
		length = int(binary.BigEndian.Uint16(long))
	} else if length == 127 {
		return errors.New("the message is too long")
	}
	mask := make([]byte, 4)
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(s.reader, mask); err != nil {
			return err
		}
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(s.reader, text); err != nil {
		return err
	}
	for i := range text {
		text[i] ^= mask[i%4]
	}
	return json.Unmarshal(text, value)
}
