"""The commands of `klicktipp`, each in a file of its own."""
