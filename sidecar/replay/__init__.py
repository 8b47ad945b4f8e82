"""Files and recordings through the live code on a virtual clock; labels; tuning."""
