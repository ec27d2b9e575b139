;; Compiled to machine code form by form; the collector write-protects pages, and asks which were written by SIGSEGV.
(defun fib (n) (declare (fixnum n)) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(defun lists (n) (loop for i below n collect (list i (* i i))))
(format t "~a ~a ~a~%" (fib 32) (length (lists 1000000)) (reduce #'+ (mapcar #'second (lists 300000))))
