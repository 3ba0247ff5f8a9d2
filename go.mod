module github.com/tfq8/tfq8

go 1.26
