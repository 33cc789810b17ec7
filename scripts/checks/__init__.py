"""The stages of scripts/check; see scripts/check for how they are run."""
