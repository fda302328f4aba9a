"""Data that outlives a call, or the node: tables, queries and the writer behind them."""
