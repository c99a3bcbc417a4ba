package rules

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestLines(t *testing.T) {
	cases := map[string]struct {
		allow Allow
		want  []string
	}{
		"anything": {Allow{AnyPeer: true, AnyPort: true}, []string{""}},
		"a pod on two ports": {
			Allow{Peers: prefixes("10.0.0.1/32"), Ports: []Port{tcp(80, 80), {corev1.ProtocolUDP, true, 5, 9}}},
			[]string{"ip saddr { 10.0.0.1 } tcp dport 80 ", "ip saddr { 10.0.0.1 } udp dport 5-9 "},
		},
		"a whole protocol": {
			Allow{AnyPeer: true, Ports: []Port{{Protocol: corev1.ProtocolSCTP}}}, []string{"meta l4proto sctp "},
		},
		"everything but a range, and a range within it": {
			Allow{AnyPeer: true, Except: prefixes("10.1.0.0/16", "10.0.0.0/8"), AnyPort: true},
			[]string{"ip saddr != { 10.0.0.0/8 } "},
		},
		"no port left": {Allow{AnyPeer: true}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := lines(c.allow, "saddr"); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRender(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	text := Render(Table{Egress: []Verdict{{Pod: address, Allows: []Allow{{Peers: prefixes("10.0.0.2/32"), AnyPort: true}}}}})
	want := `  chain egress-10.0.0.1 {
    ip daddr 10.0.0.1 return
    ip daddr { 10.0.0.2 } return
    drop
  }
  map egress {
    type ipv4_addr : verdict
    elements = { 10.0.0.1 : jump egress-10.0.0.1 }
  }
`
	if !strings.Contains(text, want) {
		t.Errorf("got:\n%s", text)
	}
	if strings.Contains(text, "@ingress") {
		t.Error("a map that does not exist is used")
	}
	if !strings.HasPrefix(text, "table inet ringfence-netpol\ndelete table inet ringfence-netpol\n") {
		t.Error("the old table must go in the same transaction")
	}
}
