"""A consortium of distribution areas: real full nodes that seal a Clique chain together."""
