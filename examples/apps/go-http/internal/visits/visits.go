// Package visits counts.
package visits

import "sync/atomic"

// Counter counts from 1. Its zero value is ready.
type Counter struct{ count atomic.Int64 }

// Next is the number of this visit.
func (c *Counter) Next() int64 { return c.count.Add(1) }
