package main
import ("context";"fmt";"os";"runtime/pprof";"syscall";"strings"
 "github.com/tfq8/tfq8/graphdef";"github.com/tfq8/tfq8/internal/translate";"github.com/tfq8/tfq8/runtime";"github.com/tfq8/tfq8/runtime/text";"github.com/tfq8/tfq8/tensor")
func cpu() float64 { var r syscall.Rusage; syscall.Getrusage(syscall.RUSAGE_SELF,&r); return float64(r.Utime.Sec)+float64(r.Utime.Usec)/1e6 }
func main(){
 bb,err:=graphdef.ReadFile(os.Args[1]); if err!=nil{panic(err)}
 g,err:=graphdef.Read(bb); if err!=nil{panic(err)}
 p,err:=runtime.Compile(g,runtime.CompileOptions{Feeds:[]string{"source"},Fetches:[]string{"translations"}}); if err!=nil{panic(err)}
 N:="/work/shared/fixtures/nmt/"
 m,err:=text.Load(N+"spm.model"); if err!=nil{panic(err)}
 b,_:=os.ReadFile(N+"test_2016.en"); lines:=strings.Split(strings.TrimSpace(string(b)),"\n")[:400]
 s:=translate.Encode(m,lines,1)
 var feeds []map[string]*tensor.Tensor
 for _,bt:=range (translate.Packing{}).Batches(s) { feeds=append(feeds,map[string]*tensor.Tensor{"source":translate.Pad(tensor.Int32,0,s,bt)}) }
 se:=p.NewSession()
 run:=func(){ for _,f:=range feeds { if _,err:=se.RunRows(context.Background(),f); err!=nil{panic(err)} } }
 run()
 if len(os.Args)>2 { f,_:=os.Create(os.Args[2]); pprof.StartCPUProfile(f); run(); run(); pprof.StopCPUProfile(); f.Close(); return }
 for range 5 { t:=cpu(); run(); fmt.Printf("%.3f ",cpu()-t) }
 fmt.Println()
}
