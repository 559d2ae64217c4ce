"""The rules of the energy market as this household sees them: pure, standard library only, no I/O and no clock."""
