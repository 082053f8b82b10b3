"""What every figure, table and report shares: style, coordinates in the plane, Markdown, where numbers come from."""
