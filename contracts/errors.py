"""What can be wrong with the files of this folder.

ContractsError
├── ArtifactError     the compiled contract is missing or not what the build writes
└── DeploymentError   a deployment file is missing, for another chain, or says something impossible
"""


class ContractsError(Exception):
    """A file of this folder cannot be used; the message names it and what would be right."""


class ArtifactError(ContractsError):
    """The artifact is missing or damaged."""


class DeploymentError(ContractsError):
    """A deployment file is missing or wrong."""
