package runtime

import (
	"bytes"

	"github.com/tfq8/tfq8/kernels"
)

// rowRange is count rows of a matrix: from, from+every, …
type rowRange struct{ from, count, every int }

// runOnce computes the product of rows that repeat once, and copies it.
func (d dense) runOnce(c *call, dst []float32, m, n int, ep kernels.Epilogue) error {
	r := c.repeatOf(0)
	k := 0
	if m > 0 {
		k = c.in(0).Len() / m
	}
	if r.times < 2 || k == 0 || r.chunk%k != 0 || m%(r.chunk/k*r.times) != 0 {
		return d.rows(c, dst, 0, m, n, ep)
	}
	rows := r.chunk / k
	for at := 0; at < m; at += rows * r.times {
		first := dst[at*n:][:rows*n]
		if err := d.rows(c, first, at, rows, n, ep); err != nil {
			return err
		}
		for i := 1; i < r.times; i++ {
			copy(dst[(at+i*rows)*n:][:rows*n], first)
		}
	}
	c.setRepeat(0, repeat{r.times, rows * n})
	return nil
}

// multiply computes rows from, …, from+m-1 of the product into dst and applies ep. Rows that come in runs of equal ones, as those of
// all beams do until a search has chosen its first tokens, are computed once a run: what a row gives depends on nothing else.
func (d dense) multiply(c *call, dst []float32, from, m, n int, ep kernels.Epilogue) error {
	every := 1
	if x := c.in(0); m > 1 && x.Len() > 0 {
		row := len(x.Bytes()) / x.Shape()[0]
		every = equalRuns(x.Bytes()[from*row:][:m*row], row, m)
	}
	if every > 1 && ep.Add != nil {
		every = equalRuns(c.in(d.residual).Bytes(), 4*n, every)
	}
	r := rowRange{from, m / every, every}
	ep.LdAdd *= every
	if err := d.product.run(c, dst, r, n, ep); err != nil || every == 1 {
		return err
	}
	for i := 0; i < m; i += every {
		first := dst[i*n:][:n]
		for j := 1; j < every; j++ {
			copy(dst[(i+j)*n:][:n], first)
		}
	}
	return nil
}

// equalRuns returns the largest divisor of most for which rows, each of size bytes, come in runs of that many equal ones.
func equalRuns(rows []byte, size, most int) int {
	for at := 0; at < len(rows) && most > 1; {
		first, run := rows[at:][:size], 0
		for ; at < len(rows) && bytes.Equal(first, rows[at:][:size]); at += size {
			run++
		}
		for run > 0 {
			most, run = run, most%run
		}
	}
	return most
}
