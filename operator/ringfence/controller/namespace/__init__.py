"""One namespace with agents: the policy that stands whatever becomes of them, and what they leave behind."""
