"""The energy market's contract as the rest of the project sees it: its artifact, and where it is deployed."""

from contracts.artifact import Artifact, DeclaredSlots, SlotField, StoredVariable, load_artifact
from contracts.deployment import Deployment, Roles, Sealing, load_deployment, save_deployment
from contracts.errors import ArtifactError, ContractsError, DeploymentError

__all__ = [
    "Artifact",
    "ArtifactError",
    "ContractsError",
    "DeclaredSlots",
    "Deployment",
    "DeploymentError",
    "Roles",
    "Sealing",
    "SlotField",
    "StoredVariable",
    "load_artifact",
    "load_deployment",
    "save_deployment",
]
