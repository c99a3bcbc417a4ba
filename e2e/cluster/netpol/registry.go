package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

type podKey struct{ namespace, name string }

// An announcement is what the CNI plugin says of a pod: one JSON line, answered by one line.
type announcement struct {
	Gone      bool   `json:"gone,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Sandbox   string `json:"sandbox"`
	Address   string `json:"address,omitempty"`
}

// A registry holds the addresses of the sandboxes that exist now.
type registry struct {
	mutex     sync.Mutex
	sandboxes map[string]entry
	announced int
	// late is for how long a new sandbox has no policies: network plugins are known that need seconds.
	late time.Duration
}

type entry struct {
	pod     podKey
	address netip.Addr
	order   int
	since   time.Time
}

func newRegistry() *registry { return &registry{sandboxes: map[string]entry{}} }

func (r *registry) note(a announcement) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if a.Gone {
		delete(r.sandboxes, a.Sandbox)
		return nil
	}
	address, err := netip.ParseAddr(a.Address)
	if err != nil || !address.Is4() {
		return errors.New("not an IPv4 address: " + a.Address)
	}
	r.announced++
	r.sandboxes[a.Sandbox] = entry{podKey{a.Namespace, a.Name}, address, r.announced, time.Now()}
	return nil
}

// without gives the addresses of sandboxes that have no policies yet.
func (r *registry) without() map[netip.Addr]bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	found := map[netip.Addr]bool{}
	for _, sandbox := range r.sandboxes {
		if time.Since(sandbox.since) < r.late {
			found[sandbox.address] = true
		}
	}
	return found
}

// all gives the address of each pod. While a pod's sandbox is replaced there may be two; the pod's
// rules then go to the newer, and the old one has no process left that could send.
func (r *registry) all() map[podKey]netip.Addr {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	found, newest := map[podKey]netip.Addr{}, map[podKey]int{}
	for _, sandbox := range r.sandboxes {
		if order, known := newest[sandbox.pod]; !known || sandbox.order > order {
			found[sandbox.pod], newest[sandbox.pod] = sandbox.address, sandbox.order
		}
	}
	return found
}

// serveAnnouncements answers the CNI plugin, in the background, until it is closed; that removes the
// socket. After a crash the socket stays and nobody answers: no pod starts then, the safe way to fail.
func serveAnnouncements(
	ctx context.Context, socket string, registry *registry, settle func(context.Context) error,
) (io.Closer, error) {
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				if err := answer(ctx, connection, registry, settle); err != nil {
					log.Print(err)
					fmt.Fprintln(connection, err)
				}
			}()
		}
	}()
	return listener, nil
}

func answer(
	ctx context.Context, connection net.Conn, registry *registry, settle func(context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	line, err := bufio.NewReader(connection).ReadBytes('\n')
	if err != nil {
		return err
	}
	var said announcement
	if err := json.Unmarshal(line, &said); err != nil {
		return err
	}
	if err := registry.note(said); err != nil {
		return err
	}
	if err := settle(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(connection, "ok")
	return err
}
