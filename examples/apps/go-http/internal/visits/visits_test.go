package visits

import "testing"

func TestEachVisitHasItsOwnNumber(t *testing.T) {
	var counter Counter
	for want := int64(1); want <= 3; want++ {
		if got := counter.Next(); got != want {
			t.Errorf("visit %d has number %d", want, got)
		}
	}
}
