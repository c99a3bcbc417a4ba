package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// TableName is the nftables table that holds everything of ours.
const TableName = "ringfence-netpol"

// Render writes the table as an nft script that replaces what was there, in one transaction.
//
// Packets in the direction of an answer always pass, and all others are judged, also those of
// connections that exist: a policy that comes later ends what it forbids. In the forward hook addresses
// are those of pods, not of services: kube-proxy has translated them by then. The input hook sees what
// pods send to the node itself (the API server, the kubelet). What the node sends to pods is not judged:
// probes must always pass.
func Render(table Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s\ndelete table inet %s\ntable inet %s {\n", TableName, TableName, TableName)
	renderDirection(&b, "egress", "daddr", table.Egress)
	renderDirection(&b, "ingress", "saddr", table.Ingress)
	for _, hook := range []string{"forward", "input"} {
		fmt.Fprintf(&b, "  chain %s {\n    type filter hook %s priority filter; policy accept;\n", hook, hook)
		b.WriteString("    ct direction reply accept\n    ct state related accept\n")
		if len(table.Egress) > 0 {
			b.WriteString("    ip saddr vmap @egress\n")
		}
		if hook == "forward" && len(table.Ingress) > 0 {
			b.WriteString("    ip daddr vmap @ingress\n")
		}
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// renderDirection writes one chain for each pod, which returns for what is allowed and drops the rest,
// and the map that finds a pod's chain by its address.
func renderDirection(b *strings.Builder, direction, peer string, verdicts []Verdict) {
	if len(verdicts) == 0 {
		return
	}
	var entries []string
	for _, verdict := range verdicts {
		chain := direction + "-" + verdict.Pod.String()
		entries = append(entries, fmt.Sprintf("%s : jump %s", verdict.Pod, chain))
		fmt.Fprintf(b, "  chain %s {\n", chain)
		// A pod that reaches itself by way of a service is nobody else's business.
		fmt.Fprintf(b, "    ip %s %s return\n", peer, verdict.Pod)
		for _, allow := range verdict.Allows {
			for _, line := range lines(allow, peer) {
				fmt.Fprintf(b, "    %sreturn\n", line)
			}
		}
		b.WriteString("    drop\n  }\n")
	}
	fmt.Fprintf(b, "  map %s {\n    type ipv4_addr : verdict\n    elements = { %s }\n  }\n",
		direction, strings.Join(entries, ", "))
}

// lines gives the matches of an allow, each ending in a space: one for each port.
func lines(allow Allow, peer string) []string {
	var address string
	if !allow.AnyPeer {
		address = fmt.Sprintf("ip %s %s ", peer, elements(allow.Peers))
	}
	if len(allow.Except) > 0 {
		address += fmt.Sprintf("ip %s != %s ", peer, elements(outermost(allow.Except)))
	}
	if allow.AnyPort {
		return []string{address}
	}
	var all []string
	for _, port := range allow.Ports {
		protocol := strings.ToLower(string(port.Protocol))
		switch {
		case !port.Numbers:
			all = append(all, fmt.Sprintf("%smeta l4proto %s ", address, protocol))
		case port.From == port.To:
			all = append(all, fmt.Sprintf("%s%s dport %d ", address, protocol, port.From))
		default:
			all = append(all, fmt.Sprintf("%s%s dport %d-%d ", address, protocol, port.From, port.To))
		}
	}
	return all
}

// outermost leaves out ranges that lie within others: nft refuses a set with overlaps.
func outermost(prefixes []netip.Prefix) []netip.Prefix {
	var kept []netip.Prefix
	sorted := slices.SortedFunc(slices.Values(prefixes), func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	for _, prefix := range sorted {
		within := func(outer netip.Prefix) bool { return outer.Contains(prefix.Addr()) }
		if !slices.ContainsFunc(kept, within) {
			kept = append(kept, prefix)
		}
	}
	return kept
}

func elements(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		texts[i] = prefix.String()
		if prefix.IsSingleIP() {
			texts[i] = prefix.Addr().String()
		}
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}
