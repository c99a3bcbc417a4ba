"""From what somebody runs already (a workload, a service of a compose file) to an AgentDeployment. Pure."""
