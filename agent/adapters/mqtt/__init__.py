"""MQTT through paho; the one room that imports it.

Every attempt to connect is a client of its own: paho would keep unconfirmed messages over a reconnection and send them
again by itself, and then two parts would decide what is still to be sent.
"""

from agent.adapters.mqtt.subscription import Subscription
from agent.adapters.mqtt.telemetry import Telemetry

__all__ = ["Subscription", "Telemetry"]
