"""The stages that data passes on its way from a meter to final; one file and one ``run_once`` each."""
