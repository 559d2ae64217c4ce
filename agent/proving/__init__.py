"""Asking full nodes for proofs, and believing what they prove: where ``agent.light`` meets nodes and journal."""
