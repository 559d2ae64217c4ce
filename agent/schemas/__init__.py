"""JSON Schemas of the telemetry's messages, and the AsyncAPI document that says where each is sent: data only."""
