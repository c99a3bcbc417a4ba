"""One AgentDeployment: observe, plan, execute, report."""
