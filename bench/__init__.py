"""The benchmark: our whole path beside the script a user would write, in one run."""
