// Command agnhost is the part of Kubernetes' own test server of that name that Cyclonus uses: the same
// code, two commands instead of thirty. Cyclonus starts it 144 times for each case.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/kubernetes/test/images/agnhost/connect"
	servehostname "k8s.io/kubernetes/test/images/agnhost/serve-hostname"
)

func main() {
	root := &cobra.Command{Use: "agnhost", SilenceUsage: true}
	root.AddCommand(connect.CmdConnect, servehostname.CmdServeHostname)
	if root.Execute() != nil {
		os.Exit(1)
	}
}
