"""A folder laid out like the hub: what it holds, whether that is whole, and how it is filled."""
