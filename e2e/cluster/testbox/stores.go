package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Two stores that agents keep their state in, by their protocols: Redis (RESP 2) and PostgreSQL (version 3.0 of its
// messages). Each wants a password; nothing is written to a disk.

func listen(address string, serve func(net.Conn) error) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			_ = serve(connection)
		}()
	}
}

type redis struct {
	password string
	mutex    sync.Mutex
	lists    map[string][]string
}

func (r *redis) serve(connection net.Conn) error {
	reader, allowed := bufio.NewReader(connection), r.password == ""
	for {
		words, err := readCommand(reader)
		if err != nil {
			return err
		}
		var answer string
		name := strings.ToUpper(words[0])
		switch {
		case name == "AUTH" && len(words) == 2:
			allowed = words[1] == r.password
			answer = "+OK\r\n"
			if !allowed {
				answer = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
			}
		case !allowed:
			answer = "-NOAUTH Authentication required.\r\n"
		default:
			answer = r.command(name, words[1:])
		}
		if _, err := io.WriteString(connection, answer); err != nil {
			return err
		}
	}
}

func (r *redis) command(name string, words []string) string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	switch {
	case name == "PING":
		return "+PONG\r\n"
	case name == "LPUSH" && len(words) == 2:
		r.lists[words[0]] = append(r.lists[words[0]], words[1])
		return fmt.Sprintf(":%d\r\n", len(r.lists[words[0]]))
	case name == "RPOP" && len(words) == 1:
		list := r.lists[words[0]]
		if len(list) == 0 {
			return "$-1\r\n"
		}
		r.lists[words[0]] = list[1:]
		return fmt.Sprintf("$%d\r\n%s\r\n", len(list[0]), list[0])
	}
	return "-ERR unknown command\r\n"
}

// readCommand reads an array of bulk strings: what clients send.
func readCommand(reader *bufio.Reader) ([]string, error) {
	count, err := readCount(reader, '*')
	if err != nil || count < 1 || count > 16 {
		return nil, errors.Join(err, errors.New("no command"))
	}
	words := make([]string, count)
	for i := range words {
		if words[i], err = readBulk(reader); err != nil {
			return nil, err
		}
	}
	return words, nil
}

func readBulk(reader *bufio.Reader) (string, error) {
	length, err := readCount(reader, '$')
	if err != nil || length < 0 || length > 1<<20 {
		return "", errors.Join(err, errors.New("nothing there"))
	}
	text := make([]byte, length+2)
	_, err = io.ReadFull(reader, text)
	return string(text[:length]), err
}

func readCount(reader *bufio.Reader, kind byte) (int, error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, errors.New(strings.TrimSpace(line))
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

func command(words ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	return text.String()
}

// talkRedis puts a job into a list and takes one out, as a queue's workers do.
func talkRedis(connection net.Conn, password string) (string, error) {
	reader := bufio.NewReader(connection)
	said := func(words ...string) error {
		if _, err := io.WriteString(connection, command(words...)); err != nil {
			return err
		}
		return nil
	}
	for _, step := range []struct {
		words []string
		kind  byte
	}{{[]string{"AUTH", password}, '+'}, {[]string{"PING"}, '+'}, {[]string{"LPUSH", "jobs", "one"}, ':'}} {
		if err := said(step.words...); err != nil {
			return "", err
		}
		line, err := reader.ReadString('\n')
		if err != nil || line[0] != step.kind {
			return "", errors.Join(err, errors.New(strings.TrimSpace(line)))
		}
	}
	if err := said("RPOP", "jobs"); err != nil {
		return "", err
	}
	job, err := readBulk(reader)
	return "job " + job, err
}

const postgresVersion = 3 << 16

func message(kind byte, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(content)+4)), content...)
}

func readMessage(reader io.Reader) (byte, []byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(reader, head); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > 1<<16 {
		return 0, nil, errors.New("no message of this protocol")
	}
	content := make([]byte, length-4)
	_, err := io.ReadFull(reader, content)
	return head[0], content, err
}

// servePostgres answers each query with one row: 1.
func servePostgres(connection net.Conn, password string) error {
	reader := bufio.NewReader(connection)
	head := make([]byte, 8)
	if _, err := io.ReadFull(reader, head); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(head)
	if binary.BigEndian.Uint32(head[4:]) != postgresVersion || length < 8 || length > 1<<12 {
		return errors.New("another version, or TLS")
	}
	if _, err := io.CopyN(io.Discard, reader, int64(length-8)); err != nil {
		return err
	}
	_, _ = connection.Write(message('R', []byte{0, 0, 0, 3})) // a password in clear text is asked for
	kind, content, err := readMessage(reader)
	if err != nil {
		return err
	}
	if kind != 'p' || string(bytes.TrimRight(content, "\x00")) != password {
		_, err = connection.Write(message('E', []byte("SFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00")))
		return err
	}
	ready := message('Z', []byte("I"))
	_, _ = connection.Write(append(message('R', []byte{0, 0, 0, 0}), ready...))
	for {
		kind, _, err := readMessage(reader)
		if err != nil || kind != 'Q' {
			return err
		}
		column := append([]byte("\x00\x01one\x00"), make([]byte, 18)...)
		answer := append(message('T', column), message('D', []byte{0, 1, 0, 0, 0, 1, '1'})...)
		answer = append(append(answer, message('C', []byte("SELECT 1\x00"))...), ready...)
		if _, err := connection.Write(answer); err != nil {
			return err
		}
	}
}

func talkPostgres(connection net.Conn, password string) (string, error) {
	reader := bufio.NewReader(connection)
	words := []byte("user\x00agent\x00database\x00agent\x00\x00")
	start := binary.BigEndian.AppendUint32(nil, uint32(len(words)+8))
	start = append(binary.BigEndian.AppendUint32(start, postgresVersion), words...)
	if _, err := connection.Write(start); err != nil {
		return "", err
	}
	if kind, _, err := readMessage(reader); err != nil || kind != 'R' {
		return "", errors.Join(err, errors.New("no password is asked for"))
	}
	_, _ = connection.Write(message('p', []byte(password+"\x00")))
	asked := false
	for {
		kind, content, err := readMessage(reader)
		switch {
		case err != nil:
			return "", err
		case kind == 'E':
			return "", fmt.Errorf("the server refuses: %q", content)
		case kind == 'D':
			return fmt.Sprintf("row %s", content[6:]), nil
		case kind == 'Z' && !asked:
			asked = true
			_, _ = connection.Write(message('Q', []byte("select 1 as one\x00")))
		}
	}
}
