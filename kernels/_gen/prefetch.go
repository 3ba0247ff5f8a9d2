package main

import (
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// prefetch emits a loop that asks for cache lines. Into the first cache too it would be slower: that waits for few lines at a
// time, and what waits for it then stands still.
func prefetch(c *build.Context) {
	function(c, "prefetchLines", "func(p *byte, lines int)", "prefetchLines asks for lines > 0 cache lines from p on, into the second cache.")
	p, n := reg.RAX, reg.RCX
	c.Load(c.Param("p"), p)
	c.Load(c.Param("lines"), n)
	c.Label("line")
	c.PREFETCHT1(Mem{Base: p})
	c.ADDQ(U8(64), p)
	c.DECQ(n)
	c.JNZ(LabelRef("line"))
	c.RET()
}
