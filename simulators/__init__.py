"""What stands around an agent, simulated: a household, meters on real wires, faulty lines, full nodes, brokers.

Nothing here imports the agent, its drivers or its contracts. The meters encode their registers from a
table of their own: a simulator that shared the driver's table could not disagree with it.
"""
