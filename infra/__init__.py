"""What zongzhi runs on: servers, images, and the launchers behind `make run` and `make up`."""
