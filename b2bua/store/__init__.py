"""What outlives a call, and what outlives the node: tables, queries and the writer behind them."""
